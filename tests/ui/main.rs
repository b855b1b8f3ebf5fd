//! The interface against a scripted engine: widgets are found by accessible label.
