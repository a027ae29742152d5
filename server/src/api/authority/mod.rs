//! Clients whose `:authority` is no authority. etcdctl 3.4 sends the whole URL
//! (`http://127.0.0.1:2379`) for `endpoint status`, `endpoint hashkv` and `defrag`, and Go's server
//! takes it; h2 ends such a request with a protocol error before any service sees it. So the name is
//! made acceptable on its way in, see [`Mended`]. Nothing here reads the name for anything else.

mod block;
mod huffman;
mod scanner;
mod stream;

pub use stream::Mended;
