//! Two servers behind HAProxy, restarted one after the other under load.
