//! Our services about plugins: deploying and watching over them, and calling their recipes.

mod convert;
mod explain;
mod facts;
mod logs;
mod recipe;
mod service;

pub use recipe::RecipeService;
pub use service::PluginService;
