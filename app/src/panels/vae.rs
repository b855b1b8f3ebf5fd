//! Which autoencoder a model is used with, and what makes the last picture: shown where there is a
//! choice.

use egui::Ui;
use pentimento_engine::catalog::decoders::AutoencoderKind;
use pentimento_engine::recipe::{DecodeTiles, FinalDecoder, ModelRef, VaeChoice};

use super::PanelCx;
use crate::studio::Studio;
use crate::studio::draft::{DraftEdit, Sampling};
use crate::text::t;
use crate::theme;
use crate::widgets::{self, ChoiceItem};

const AUTOMATIC: &str = "automatic";
const OWN: &str = "own";
/// Before the id of a file, which may be any word.
const FILE: &str = "file ";

/// Draws the row of the VAE below the model.
pub(super) fn vae_ui(ui: &mut Ui, cx: &mut PanelCx<'_>) {
    let studio = cx.studio;
    let vae = &studio.draft.sampling.network.vae;
    let model = studio.model();
    let files: Vec<&str> = studio
        .catalog
        .autoencoders
        .iter()
        .filter(|file| file.kind == AutoencoderKind::Full)
        .filter(|file| model.is_some_and(|model| file.fits(model)))
        .map(|file| file.id.as_str())
        .collect();
    let missing = match vae {
        VaeChoice::File(wanted) => !files.contains(&wanted.id.as_str()),
        VaeChoice::Automatic | VaeChoice::Model => false,
    };
    if files.is_empty() && !missing {
        return;
    }
    let ids: Vec<String> = files.iter().map(|id| format!("{FILE}{id}")).collect();
    let mut items = vec![
        ChoiceItem {
            id: AUTOMATIC,
            label: t("vae-automatic"),
            hint: t("vae-automatic-hint"),
        },
        ChoiceItem {
            id: OWN,
            label: t("vae-own"),
            hint: t("vae-own-hint"),
        },
    ];
    items.extend(ids.iter().zip(&files).map(|(id, label)| ChoiceItem {
        id,
        label,
        hint: "",
    }));
    let before = match vae {
        VaeChoice::Automatic => AUTOMATIC.to_owned(),
        VaeChoice::Model => OWN.to_owned(),
        VaeChoice::File(wanted) if missing => wanted.id.clone(),
        VaeChoice::File(wanted) => format!("{FILE}{}", wanted.id),
    };
    let mut chosen = before.clone();
    widgets::field_ui(ui, t("vae"), |ui, _| {
        widgets::choice_ui(ui, t("vae"), &mut chosen, &items).on_hover_text(t("vae-tip"))
    });
    if chosen != before {
        let mut sampling = studio.draft.sampling.clone();
        sampling.network.vae = match chosen.strip_prefix(FILE) {
            Some(id) => VaeChoice::File(ModelRef {
                id: id.to_owned(),
                ..ModelRef::default()
            }),
            None if chosen == OWN => VaeChoice::Model,
            None => VaeChoice::Automatic,
        };
        cx.commands.send(DraftEdit::Sampling(Box::new(sampling)));
    }
}

/// Draws the choice of the last decoder's tiles into the advanced section.
pub(super) fn tiles_ui(ui: &mut Ui, sampling: &mut Sampling) {
    let tiles = &mut sampling.network.tiles;
    ui.label(theme::muted(ui, t("decode-tiles")).size(12.5))
        .on_hover_text(t("decode-tiles-tip"));
    let side_px = match *tiles {
        DecodeTiles::Tiled { side_px } => side_px,
        DecodeTiles::Automatic | DecodeTiles::Whole => DecodeTiles::USUAL_SIDE_PX,
    };
    let side = format!("{side_px} px");
    widgets::segmented_ui(
        ui,
        t("decode-tiles"),
        tiles,
        &[
            (DecodeTiles::Automatic, t("decode-tiles-automatic")),
            (DecodeTiles::Whole, t("decode-tiles-whole")),
            (DecodeTiles::Tiled { side_px }, &side),
        ],
    )
    .on_hover_text(t("decode-tiles-tip"));
}

/// Draws the choice of the last decoder into the advanced section, where a tiny one fits the model.
pub(super) fn decoder_ui(ui: &mut Ui, studio: &Studio, sampling: &mut Sampling) {
    let latents = studio.model().map(|model| model.storage.latents);
    let space = latents
        .filter(|latents| !latents.tiny)
        .and_then(|latents| latents.space);
    let fits = space.is_some_and(|space| studio.catalog.tiny_decoder(space).is_some());
    let decoder = &mut sampling.network.decoder;
    if !fits && decoder.is_full() {
        return;
    }
    ui.label(theme::muted(ui, t("decoder")).size(12.5))
        .on_hover_text(t("decoder-tip"));
    let mut quick = !decoder.is_full();
    let before = quick;
    widgets::segmented_ui(
        ui,
        t("decoder"),
        &mut quick,
        &[(false, t("decoder-full")), (true, t("decoder-tiny"))],
    )
    .on_hover_text(t("decoder-tip"));
    if quick != before {
        *decoder = if quick {
            FinalDecoder::Tiny { file: None }
        } else {
            FinalDecoder::Full
        };
    }
}
