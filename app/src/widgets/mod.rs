//! Widgets: `fn x_ui(ui, &mut value) -> Response`.
