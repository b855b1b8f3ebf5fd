//! The whole engine through its public face, on tiny real models: cancellation, order of events,
//! determinism, the panic fence, exact paste-back.
