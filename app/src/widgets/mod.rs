//! Widgets: `fn x_ui(ui, &mut value) -> Response`, each with an accessible name.

mod buttons;
mod choice;
mod field;
mod inspection;
mod numbers;
mod progress;
mod recipe_table;
mod seed;
mod segmented;
mod thumbnail;

pub use buttons::{
    accent_button_ui, action_button_ui, icon_button_ui, icon_toggle_ui, keys_text, link_button_ui,
    primary_button_ui, text_button_ui,
};
pub(crate) use buttons::{icon_text, name};
pub use choice::{ChoiceItem, Pictures, choice_ui, pictured_choice_ui};
pub use field::{
    LABEL_WIDTH, field_ui, note_ui, number_ui, rail_ui, section_ui, slider_ui, switch_ui,
};
pub use inspection::inspection_ui;
pub use numbers::numbers_field_ui;
pub use progress::{bytes_text, duration_text, progress_bar_ui};
pub use recipe_table::{masked_content_text, recipe_rows, recipe_table_ui, recipe_text};
pub use seed::seed_field_ui;
pub use segmented::segmented_ui;
pub use thumbnail::{ThumbnailLook, picture_ui, thumbnail_ui, whole_picture_ui};
