//! The only place with colours and sizes.
