//! A simulator of the model APIs: the providers' server halves, with latency, quotas and faults.
//!
//! It is one pure [`Model`] with two faces: the HTTP [`server`], and whoever calls
//! [`Model::handle`] on a virtual clock in the same process. All that looks random is drawn from a
//! seed and from what each request says, so that the same requests get the same answers in
//! whatever order they come. Nothing here is shared with the client that it tests, except the
//! dialects' types and the price table.

mod answer;
mod bill;
pub mod control;
pub mod directive;
mod errors;
pub mod fault;
pub mod fit;
pub mod ledger;
pub mod model;
pub mod quota;
pub mod record;
pub mod scenario;
pub mod server;
mod shape;
#[cfg(test)]
mod testing;
pub mod timeline;

pub use model::Model;
pub use scenario::Scenario;
pub use server::Server;
