//! What the next job will take: asked of the engine when something changes that decides it.

use pentimento_engine::catalog::Catalog;
use pentimento_engine::forecast::Forecast;
use pentimento_engine::recipe::{Inpaint, Recipe, Start};

use super::draft::{Draft, StartMode};

/// What was asked, and what came back.
#[derive(Debug, Default)]
pub struct Foretold {
    /// The answer, once there is one.
    pub known: Option<Forecast>,
    asked: Option<(Recipe, u32)>,
}

impl Foretold {
    /// Call each frame: the question, if the answer to it is not known yet. `wanted`: `None` while no
    /// model is known.
    pub fn tick(&mut self, wanted: Option<(Recipe, u32)>) -> Option<(Box<Recipe>, u32)> {
        if wanted == self.asked {
            return None;
        }
        self.asked.clone_from(&wanted);
        self.known = None;
        wanted.map(|(recipe, count)| (Box::new(recipe), count))
    }

    /// Something else than the draft changed: a picture was made, the models were read again.
    pub fn forget(&mut self) {
        self.asked = None;
    }
}

impl Draft {
    /// The recipe of the next job as far as it decides time and memory: texts and pictures left out.
    pub fn for_forecast(
        &self,
        mode: StartMode,
        start_px: Option<[u32; 2]>,
        catalog: &Catalog,
    ) -> (Recipe, u32) {
        let mut recipe = self.recipe(0, catalog);
        recipe.prompt.clear();
        recipe.negative_prompt.clear();
        recipe.prompting.template = None;
        if let Some([width_px, height_px]) = start_px.filter(|_| mode != StartMode::New) {
            (recipe.width_px, recipe.height_px) = (width_px, height_px);
            recipe.start = Some(Start {
                picture: String::new(),
                strength: self.start.strength,
                inpaint: (mode == StartMode::Repaint).then(|| Inpaint {
                    mask: String::new(),
                    blur_px: 0,
                    content: self.start.content,
                    area: self.start.area(),
                }),
            });
        }
        (recipe, self.count.max(1))
    }
}
