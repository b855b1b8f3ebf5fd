//! From options to a request: the recipe of a file or a model's defaults, overridden option by
//! option, with start picture and mask read and checked before any work begins.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};

use pentimento_engine::catalog::{Catalog, ModelInfo};
use pentimento_engine::client::{Blob, Request, SaveTo};
use pentimento_engine::error::EngineError;
use pentimento_engine::raster::{Mask, Picture, load_mask, load_picture};
use pentimento_engine::recipe::{
    AddOns, FinalDecoder, Inpaint, InpaintArea, Knobs, MaskedContent, ModelRef, NetworkOptions,
    NoiseKind, PROMPT_REVISION, Precision, Prompting, RECIPE_VERSION, Recipe, SAMPLER_REVISION,
    Start, VaeChoice,
};

use super::model_choice::{find, first, named, of_recipe};
use super::overrides::Overrides;
use super::recipe_file::{Loaded, load_recipe};
use super::refiner::RefinerOptions;
use super::{Args, Failure};

/// Image-to-image strength when none is given, as in A1111.
const STRENGTH: f64 = 0.75;
/// A model's defaults as a recipe, with a random seed.
pub(super) fn from_defaults(model: &ModelInfo) -> Recipe {
    Recipe {
        version: RECIPE_VERSION,
        model: ModelRef {
            id: model.id.clone(),
            sha256: None,
            ..ModelRef::default()
        },
        prompt: String::new(),
        negative_prompt: String::new(),
        prompting: Prompting::default(),
        width_px: model.native_px[0],
        height_px: model.native_px[1],
        seed: random_seed(),
        steps: model.defaults.steps,
        guidance: model.defaults.guidance,
        guidance_rescale: 0.0,
        sampler: model.defaults.sampler.clone(),
        schedule: model.defaults.schedule.clone(),
        knobs: Knobs::of_new_recipes(),
        network: NetworkOptions::of_new_recipes(),
        noise_source: NoiseKind::default(),
        precision: Precision::default(),
        add_ons: AddOns::default(),
        image_guidance: None,
        refiner: None,
        start: None,
        sampler_revision: SAMPLER_REVISION,
        prompt_revision: PROMPT_REVISION,
        unknown: serde_json::Map::new(),
    }
}

/// 32 bits, so that other tools can use the seed as well. The hasher's keys come from the system.
fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish() & 0xffff_ffff
}

/// What the options ask for, before the model's defaults are known.
pub(super) struct Draft {
    model: Option<String>,
    refiner: RefinerOptions,
    recipe: Option<Loaded>,
    overrides: Overrides,
    init: Option<Picture>,
    mask: Option<(PathBuf, Mask)>,
    count: u32,
}

impl Draft {
    /// Reads the options and the files they name.
    pub(super) fn read(args: &Args) -> Result<Self, Failure> {
        let overrides = Overrides::read(args)?;
        let recipe = args
            .path("recipe")
            .map(|path| load_recipe(&path))
            .transpose()?;
        if recipe.is_none() && overrides.prompt.is_none() {
            return Err(Failure::usage("--prompt is needed, or a --recipe"));
        }
        let old_start = recipe.as_ref().and_then(|r| r.record.recipe.start.as_ref());
        let starts = args.has("init") || old_start.is_some();
        let masks = args.has("mask") || old_start.is_some_and(|start| start.inpaint.is_some());
        for (name, other, there) in [
            ("mask", "init", starts),
            ("strength", "init", starts),
            ("mask-blur", "mask", masks),
            ("content", "mask", masks),
            ("only-masked", "mask", masks),
            ("padding", "mask", masks),
        ] {
            if args.has(name) && !there {
                return Err(Failure::usage(format!("--{name} needs --{other}")));
            }
        }
        let init = args
            .path("init")
            .map(|path| load_picture(&path))
            .transpose()?;
        let mask = args
            .path("mask")
            .map(|path| load_mask(&path).map(|mask| (path, mask)))
            .transpose()?;
        if let Some((path, mask)) = &mask
            && mask.is_empty()
        {
            let problem = "nothing in the mask is white, so nothing would be repainted";
            let remedy = "paint white where the picture should change";
            return Err(EngineError::bad_file(path, problem, remedy).into());
        }
        Ok(Self {
            model: args.text("model")?.map(str::to_owned),
            refiner: RefinerOptions::read(args)?,
            count: args.number("batch", "a whole number")?.unwrap_or(1),
            recipe,
            overrides,
            init,
            mask,
        })
    }

    /// Folders or files of models that were named by their paths.
    pub(super) fn model_paths(&self) -> Vec<PathBuf> {
        let named = self.model.iter().chain(self.refiner.named());
        named
            .map(PathBuf::from)
            .filter(|path| path.exists())
            .chain(self.overrides.network.lender_path())
            .collect()
    }

    /// The VAE's file, where it was named by its path.
    pub(super) fn vae_path(&self) -> Option<PathBuf> {
        self.overrides.network.vae_path()
    }

    /// Whether the catalogue already holds the decoders that are named.
    pub(super) fn knows_its_decoders(&self, catalog: &Catalog) -> bool {
        let of_recipe = self.recipe.as_ref().map(|r| &r.record.recipe.network);
        let named = of_recipe.is_none_or(|network| {
            let known = |wanted: &ModelRef| catalog.autoencoder(wanted).is_some();
            let vae = match &network.vae {
                VaeChoice::File(wanted) => known(wanted),
                VaeChoice::Model | VaeChoice::Automatic => true,
            };
            let tiny = match &network.decoder {
                FinalDecoder::Tiny { file: Some(wanted) } => known(wanted),
                FinalDecoder::Tiny { file: None } => false,
                FinalDecoder::Full => true,
            };
            vae && tiny
        });
        named && self.overrides.network.knows_its_decoders(catalog)
    }

    /// Files of add-ons that were named by their paths.
    pub(super) fn add_on_paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.overrides.add_ons.paths()
    }

    /// Whether the catalogue already holds the models and add-ons that are named.
    pub(super) fn knows_its_models(&self, catalog: &Catalog) -> bool {
        let of_recipe = self.recipe.as_ref().map(|r| &r.record.recipe.network);
        let lends = of_recipe.is_some_and(|network| network.parts_from.is_some());
        let lends = lends || self.overrides.network.chooses_lender();
        if lends || self.overrides.add_ons.are_given() {
            return false; // names are looked up in the whole of it
        }
        let refines = self
            .recipe
            .as_ref()
            .and_then(|r| r.record.recipe.refiner.as_ref());
        self.knows_its_model(catalog) && self.refiner.is_known(refines, catalog)
    }

    fn knows_its_model(&self, catalog: &Catalog) -> bool {
        let of_recipe = self.recipe.as_ref().map(|r| &r.record.recipe.model);
        match (&self.model, of_recipe) {
            (Some(wanted), _) => find(catalog, wanted).is_some(),
            (None, Some(wanted)) if !wanted.id.is_empty() => {
                catalog.meant(wanted).is_some() || find(catalog, &wanted.id).is_some()
            }
            (None, _) => !catalog.models.is_empty(),
        }
    }

    /// The request, checked against the catalogue, and notes for the user.
    pub(super) fn finish(
        self,
        catalog: &Catalog,
        save_to: SaveTo,
        library_dir: &Path,
    ) -> Result<(Request, Vec<String>), Failure> {
        let mut notes = self
            .recipe
            .as_ref()
            .map_or_else(Vec::new, |r| r.notes.clone());
        let model = match (&self.model, &self.recipe) {
            (Some(wanted), _) => named(catalog, wanted)?,
            (None, Some(r)) => of_recipe(catalog, &r.record.recipe.model, &mut notes)?,
            (None, None) => first(catalog)?,
        };
        let mut recipe = match &self.recipe {
            Some(loaded) => loaded.record.recipe.clone(),
            None => from_defaults(model),
        };
        recipe.adopt_revisions();
        if self.changes_model(model, catalog) {
            let open = !self.overrides.network.chooses_vae();
            notes.extend(recipe.leave_former_model(open));
        }
        if recipe.model.id != model.id {
            recipe.model = ModelRef {
                id: model.id.clone(),
                sha256: model.sha256.clone(),
                ..ModelRef::default()
            };
        }
        notes.extend(recipe.leave_missing_decoders(catalog));
        self.overrides.apply(&mut recipe)?;
        self.overrides.add_ons.apply(&mut recipe, catalog)?;
        self.refiner.apply(&mut recipe, catalog, &mut notes)?;
        let mut blobs = Vec::new();
        self.start(&mut recipe, &mut blobs, library_dir)?;
        let request = Request {
            recipe,
            count: self.count,
            save_to,
            blobs,
            resumes: None,
        };
        request.validate(catalog)?;
        Ok((request, notes))
    }

    /// Whether the model was chosen and is another than the recipe's file means.
    fn changes_model(&self, model: &ModelInfo, catalog: &Catalog) -> bool {
        let Some(loaded) = self.recipe.as_ref().filter(|_| self.model.is_some()) else {
            return false;
        };
        let meant = catalog.meant(&loaded.record.recipe.model);
        meant.is_none_or(|(meant, _)| meant.id != model.id)
    }

    /// Start picture and mask into the recipe, their files into `blobs`.
    fn start(
        &self,
        recipe: &mut Recipe,
        blobs: &mut Vec<Blob>,
        library_dir: &Path,
    ) -> Result<(), Failure> {
        if let Some(picture) = &self.init {
            let blob = Blob::from_picture(picture)?;
            let old = recipe.start.take();
            recipe.start = Some(Start {
                picture: blob.sha256.clone(),
                strength: old.as_ref().map_or(STRENGTH, |start| start.strength),
                inpaint: old.and_then(|start| start.inpaint),
            });
            (recipe.width_px, recipe.height_px) = (picture.width_px, picture.height_px);
            blobs.push(blob);
        }
        let size_px = (recipe.width_px, recipe.height_px);
        let Some(start) = &mut recipe.start else {
            if let Some(size) = self.overrides.size_px {
                (recipe.width_px, recipe.height_px) = size;
            }
            return Ok(());
        };
        if self.overrides.size_px.is_some_and(|size| size != size_px) {
            return Err(Failure::usage(format!(
                "--size: the start picture decides the size, it has {} x {} px; scale it first",
                size_px.0, size_px.1
            )));
        }
        if let Some(strength) = self.overrides.strength {
            start.strength = strength;
        }
        if let Some((path, mask)) = &self.mask {
            if (mask.width_px, mask.height_px) != size_px {
                let problem = format!(
                    "the mask has {} x {} px, the start picture {} x {} px",
                    mask.width_px, mask.height_px, size_px.0, size_px.1
                );
                let remedy = "make the mask as large as the picture";
                return Err(EngineError::bad_file(path, problem, remedy).into());
            }
            let blob = Blob::from_mask(mask)?;
            let sha256 = blob.sha256.clone();
            match &mut start.inpaint {
                Some(inpaint) => inpaint.mask = sha256,
                None => {
                    start.inpaint = Some(Inpaint {
                        mask: sha256,
                        blur_px: 0,
                        content: MaskedContent::default(),
                        area: InpaintArea::default(),
                    });
                }
            }
            blobs.push(blob);
        }
        if let Some(inpaint) = &mut start.inpaint {
            self.overrides.apply_to_inpaint(inpaint);
        }
        check_blobs(start, blobs, library_dir)
    }
}

/// A recipe names its pictures by hash; those that were not given must lie in the gallery.
fn check_blobs(start: &Start, blobs: &[Blob], library_dir: &Path) -> Result<(), Failure> {
    let mask = start.inpaint.as_ref().map(|inpaint| &inpaint.mask);
    for (option, hash) in [("init", Some(&start.picture)), ("mask", mask)] {
        let Some(hash) = hash else { continue };
        let kept = library_dir.join("blobs").join(format!("{hash}.png"));
        if !blobs.iter().any(|blob| &blob.sha256 == hash) && !kept.is_file() {
            return Err(Failure::Other(format!(
                "{}: the recipe refers to this picture, but it is not in the gallery; give it with \
                 --{option} FILE",
                kept.display()
            )));
        }
    }
    Ok(())
}
