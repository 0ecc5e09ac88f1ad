//! The plan as the user wrote it.
