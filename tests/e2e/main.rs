//! The real studio with the real engine on the starter model.
