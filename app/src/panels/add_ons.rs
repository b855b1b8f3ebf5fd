//! LoRA and their kin: those that every picture of the draft takes along, each with its weight, and a
//! list of all that the model folders hold.

use std::cell::RefCell;

use egui::{Button, Id, Label, Popup, PopupCloseBehavior, Response, RichText, ScrollArea, Ui};
use egui_material_icons::icons;
use pentimento_engine::catalog::AddOnInfo;
use pentimento_engine::prompt::extra_networks::take;
use pentimento_engine::recipe::{AddOnKind, AddOnUse};

use super::PanelCx;
use crate::studio::Studio;
use crate::studio::draft::DraftEdit;
use crate::text::{t, t_args};
use crate::textures::Textures;
use crate::theme::{self, size};
use crate::widgets;

/// Width of the list, in points.
const LIST_WIDTH: f32 = 320.0;
/// Words shown of one add-on.
const MOST_WORDS: usize = 8;

/// Sides of pictures: beside a name, in the list, and where a hover tells more.
const SMALL_PICTURE: f32 = 28.0;
const PICTURE: f32 = 44.0;
const LARGE_PICTURE: f32 = 200.0;

/// Pictures that lie beside add-ons.
struct Previews<'a>(RefCell<&'a mut Textures>);

impl Previews<'_> {
    /// The picture, or an empty square.
    fn ui(&self, ui: &mut Ui, info: &AddOnInfo, side: f32) -> Response {
        let texture = || {
            let path = info.notes.preview.as_deref()?;
            self.0.borrow_mut().thumbnail(path)
        };
        let name = t_args("add-on-picture", [("name", info.name.clone().into())]);
        if side == LARGE_PICTURE {
            return widgets::whole_picture_ui(ui, texture, &name, side);
        }
        widgets::picture_ui(ui, texture, &name, side)
    }
}

/// What the artist did.
enum Deed {
    Add(AddOnUse),
    Use(Vec<AddOnUse>),
    Insert(String),
}

/// Draws the section.
pub(super) fn add_ons_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let studio = cx.studio;
    let previews = Previews(RefCell::new(&mut *cx.textures));
    let (mut picked, mut deed) = (None, None);
    widgets::section_ui(
        ui,
        t("add-ons"),
        |ui| {
            let label = t("add-ons-add");
            let button = widgets::icon_button_ui(ui, icons::ICON_ADD.outlined(), label, true);
            picked = list_ui(ui, &button, studio, &previews);
        },
        |ui| {
            let used = &studio.draft.add_ons.used;
            for index in 0..used.len() {
                ui.push_id(index, |ui| {
                    if let Some(done) = used_ui(ui, studio, index, &previews) {
                        deed = Some(done);
                    }
                });
            }
            unknown_ui(ui, studio);
        },
    );
    match picked.map(Deed::Add).or(deed) {
        Some(Deed::Add(one)) => cx.commands.send(DraftEdit::AddOn(one)),
        Some(Deed::Use(used)) => cx.commands.send(DraftEdit::AddOns(used)),
        Some(Deed::Insert(words)) => {
            let prompt = &studio.draft.prompt;
            let joined = match prompt.trim_end() {
                "" => words,
                before => format!("{}, {words}", before.trim_end_matches(',')),
            };
            cx.commands.send(DraftEdit::Prompt(joined));
        }
        None => {}
    }
}

fn find<'a>(studio: &'a Studio, name: &str) -> Option<&'a AddOnInfo> {
    let pinned = studio.draft.add_ons.pinned(AddOnKind::Lora, name);
    studio.catalog.add_on(AddOnKind::Lora, name, pinned)
}

/// One at the weight that its owner prefers.
fn chosen_use(info: &AddOnInfo) -> AddOnUse {
    let weight = info.notes.preferred_weight.unwrap_or(1.0);
    AddOnUse {
        name: info.name.clone(),
        unet: weight,
        text: weight,
    }
}

/// One that is used: its name, the button that takes it away, its weight, the words that call it up.
fn used_ui(ui: &mut Ui, studio: &Studio, index: usize, previews: &Previews<'_>) -> Option<Deed> {
    let mut used = studio.draft.add_ons.used.clone();
    let one = used.get_mut(index)?;
    let info = find(studio, &one.name);
    let mut deed = None;
    let mut removed = false;
    ui.horizontal(|ui| {
        ui.set_min_height(size::CONTROL);
        let right = egui::Layout::right_to_left(egui::Align::Center);
        ui.with_layout(right, |ui| {
            let label = t_args("add-on-remove", [("name", one.name.clone().into())]);
            removed =
                widgets::icon_button_ui(ui, icons::ICON_CLOSE.outlined(), &label, true).clicked();
            ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                if let Some(info) = info.filter(|info| info.notes.preview.is_some()) {
                    previews.ui(ui, info, SMALL_PICTURE);
                }
                let name = ui.add(Label::new(theme::strong(&one.name)).truncate());
                if let Some(info) = info {
                    name.on_hover_ui(|ui| about_ui(ui, info, previews));
                }
            });
        });
    });
    let before = one.clone();
    let together = one.unet == one.text;
    weight_ui(ui, "add-on-weight", &one.name, &mut one.unet);
    if together {
        one.text = one.unet;
    } else {
        weight_ui(ui, "add-on-text-weight", &one.name, &mut one.text);
    }
    let changed = *one != before;
    match info {
        Some(info) => deed = words_ui(ui, info).map(Deed::Insert),
        None => missing_ui(ui, &before.name),
    }
    if removed {
        used.remove(index);
    }
    (removed || changed).then_some(Deed::Use(used)).or(deed)
}

fn weight_ui(ui: &mut Ui, label: &'static str, name: &str, weight: &mut f64) {
    ui.push_id((label, name), |ui| {
        widgets::slider_ui(ui, t(label), weight, -1.0..=2.0, -100.0..=100.0, 0.05)
            .on_hover_text(t("add-on-weight-tip"));
    });
}

/// Words that call up what it learned; a click puts them into the prompt.
fn words_ui(ui: &mut Ui, info: &AddOnInfo) -> Option<String> {
    let notes = &info.notes;
    let own = Some(&notes.activation_text).filter(|text| !text.is_empty());
    let words: Vec<&String> = match own {
        Some(text) => vec![text],
        None => notes.trigger_words.iter().take(MOST_WORDS).collect(),
    };
    let mut chosen = None;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = egui::vec2(2.0, 0.0);
        for word in words {
            let button = widgets::link_button_ui(ui, word).on_hover_text(t("add-on-insert"));
            if button.clicked() {
                chosen = Some(word.clone());
            }
        }
    });
    chosen
}

/// Everything that is known about one.
fn about_ui(ui: &mut Ui, info: &AddOnInfo, previews: &Previews<'_>) {
    ui.set_max_width(LIST_WIDTH);
    if info.notes.preview.is_some() {
        previews.ui(ui, info, LARGE_PICTURE);
    }
    ui.label(theme::strong(&info.name));
    ui.label(theme::muted(ui, facts(info)));
    let notes = &info.notes;
    for text in [&notes.text, &notes.activation_text] {
        if !text.is_empty() {
            ui.add(Label::new(text).wrap());
        }
    }
    if !notes.trigger_words.is_empty() {
        let words = notes.trigger_words.join(", ");
        ui.add(Label::new(theme::muted(ui, words)).wrap());
    }
}

/// `Stable Diffusion 1.x · lora`.
fn facts(info: &AddOnInfo) -> String {
    let mut facts = vec![info.base.clone(), info.algorithms.join(" + ")];
    facts.extend(info.alias.clone());
    facts.retain(|fact| !fact.is_empty());
    facts.join("\u{a0}\u{a0}·  ")
}

/// Tags of the prompt whose files are not here.
fn unknown_ui(ui: &mut Ui, studio: &Studio) {
    let named = take(&studio.draft.prompt).1;
    let named = named.iter().filter(|tag| tag.names_lora());
    for name in named.filter_map(|tag| Some(tag.add_on().ok()?.name)) {
        if find(studio, &name).is_none() {
            missing_ui(ui, &name);
        }
    }
}

fn missing_ui(ui: &mut Ui, name: &str) {
    let text = t_args("add-on-missing", [("name", name.into())]);
    let warning = theme::palette(ui).warning;
    let text = RichText::new(text)
        .size(theme::type_size::SMALL)
        .color(warning);
    ui.add(Label::new(text).wrap());
}

/// The list that the button opens; what was chosen.
fn list_ui(
    ui: &Ui,
    button: &Response,
    studio: &Studio,
    previews: &Previews<'_>,
) -> Option<AddOnUse> {
    Popup::from_toggle_button_response(button)
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
        .width(LIST_WIDTH)
        .show(|ui| {
            let id = Id::unique("add-on search");
            let mut wanted: String = ui.data_mut(|data| data.get_temp(id)).unwrap_or_default();
            let field = egui::TextEdit::singleline(&mut wanted)
                .id(id)
                .hint_text(t("add-ons-search"))
                .desired_width(f32::INFINITY);
            let response = ui.add(field);
            response.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::TextInput, true, t("add-ons-search"))
            });
            ui.data_mut(|data| data.insert_temp(id, wanted.clone()));
            entries_ui(ui, studio, &wanted.to_lowercase(), previews)
        })
        .and_then(|shown| shown.inner)
        .inspect(|_| Popup::close_all(ui.ctx()))
}

fn entries_ui(
    ui: &mut Ui,
    studio: &Studio,
    wanted: &str,
    previews: &Previews<'_>,
) -> Option<AddOnUse> {
    let loras = studio.catalog.add_ons.iter();
    let loras = loras.filter(|info| info.kind == AddOnKind::Lora);
    let fits = |info: &&AddOnInfo| {
        let words = info.notes.trigger_words.iter();
        let mut texts = words.chain([&info.name, &info.notes.activation_text]);
        texts.any(|text| text.to_lowercase().contains(wanted))
    };
    let fitting: Vec<&AddOnInfo> = loras.clone().filter(fits).collect();
    let pictured = loras.clone().any(|info| info.notes.preview.is_some());
    if fitting.is_empty() {
        let none = loras.count() == 0;
        widgets::note_ui(
            ui,
            t(if none {
                "add-ons-none"
            } else {
                "add-ons-no-match"
            }),
        );
        return None;
    }
    let mut chosen = None;
    let room = (ui.ctx().content_rect().height() * 0.5).max(160.0);
    ScrollArea::vertical().max_height(room).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = if pictured { 4.0 } else { 2.0 };
        for info in fitting {
            ui.horizontal(|ui| {
                if pictured {
                    previews.ui(ui, info, PICTURE);
                }
                let height = if pictured { PICTURE } else { size::CONTROL };
                let entry = Button::new(info.name.as_str())
                    .right_text(theme::muted(ui, info.base.as_str()))
                    .frame_when_inactive(false)
                    .truncate()
                    .min_size(egui::vec2(ui.available_width(), height));
                let entry = ui.add(entry);
                let entry = entry.on_hover_ui(|ui| about_ui(ui, info, previews));
                widgets::name(&entry, true, &info.name);
                if entry.clicked() {
                    chosen = Some(chosen_use(info));
                }
            });
        }
    });
    chosen
}
