//! Real proxies in front, with the configurations of docs/proxies.md.
