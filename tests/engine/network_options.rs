//! Options of the networks: what changes nothing changes not a byte, what is shared between steps does not depend on
//! threads, and what a model does not have is refused by name.

use pentimento_engine::error::EngineError;
use pentimento_engine::recipe::{
    DecodeTiles, EasyCacheOptions, GuidanceInterval, NetworkOptions, Recipe, Reuse,
};
use support::running::{Options, Running, built_in, recipe, request};

fn with(network: NetworkOptions, recipe: Recipe) -> Recipe {
    Recipe { network, ..recipe }
}

fn reuse(deep_every: u32, deep_branch: u32, negative_every: u32) -> NetworkOptions {
    NetworkOptions {
        reuse: Reuse {
            deep_every,
            deep_branch,
            negative_every,
        },
        ..NetworkOptions::default()
    }
}

fn starter(sampler: &str, steps: u32) -> Recipe {
    Recipe {
        steps,
        sampler: sampler.to_owned(),
        negative_prompt: "green".to_owned(),
        ..recipe(&built_in())
    }
}

#[test]
fn sharing_nothing_changes_nothing() {
    let running = Running::start();
    // Heun asks twice a step.
    for sampler in ["ddim", "heun"] {
        let plain = running.picture(starter(sampler, 3));
        // An interval of 1 computes everything, wherever the branch is.
        let all = running.picture(with(reuse(1, 3, 1), starter(sampler, 3)));
        assert!(all == plain, "{sampler}: interval 1");
        let some = running.picture(with(reuse(2, 0, 1), starter(sampler, 3)));
        assert!(some != plain, "{sampler}: interval 2");
        // The first step always computes everything, and keeps features that nobody takes.
        let once = running.picture(starter(sampler, 1));
        let kept = running.picture(with(reuse(20, 0, 20), starter(sampler, 1)));
        assert!(kept == once, "{sampler}: one step");
    }
    // The last branch of all shares the middle alone; the pictures stay near.
    let model = starter("ddim", 3);
    let deepest = running.picture(with(reuse(3, 5, 1), model.clone()));
    let outermost = running.picture(with(reuse(3, 0, 1), model.clone()));
    let plain = running.picture(model);
    let off = |picture: &pentimento_engine::raster::Picture| {
        support::compare::psnr_db(&picture.rgba, &plain.rgba)
    };
    assert!(
        off(&deepest) > off(&outermost),
        "{} {}",
        off(&deepest),
        off(&outermost)
    );
}

fn easy(threshold: f64) -> NetworkOptions {
    NetworkOptions {
        easy_cache: EasyCacheOptions {
            threshold,
            ..EasyCacheOptions::default()
        },
        ..NetworkOptions::default()
    }
}

#[test]
fn easy_cache_leaves_calls_out_and_says_how_many() {
    let running = Running::start();
    for sampler in ["ddim", "heun"] {
        let plain = running.picture(starter(sampler, 12));
        // What cannot be reached leaves nothing out, and changes nothing.
        let off = running.picture(with(easy(0.0), starter(sampler, 12)));
        assert!(off == plain, "{sampler}");
        let mut before = 0;
        for threshold in [1e-9, 0.1, 0.4] {
            let asked = request(with(easy(threshold), starter(sampler, 12)));
            let reused = running.records(asked).unwrap()[0].outcome.reused_calls;
            assert!(reused >= before, "{sampler} {threshold}: {reused}");
            assert_eq!(reused > 0, threshold > 0.01, "{sampler} {threshold}");
            before = reused;
        }
        let all = if sampler == "heun" { 23 } else { 12 };
        assert!(before < all - 2, "{sampler}: {before}");
        let quick = running.picture(with(easy(0.1), starter(sampler, 12)));
        assert!(quick != plain, "{sampler}");
    }
    // How fast the output changes is known from the third call on.
    let short = running.picture(with(easy(3.0), recipe("sd1")));
    assert!(short == running.picture(recipe("sd1")));
}

#[test]
fn what_is_shared_depends_on_no_thread_and_no_batch() {
    let all = NetworkOptions {
        easy_cache: easy(0.15).easy_cache,
        guidance_interval: GuidanceInterval {
            from: 0.2,
            until: 0.8,
        },
        ..reuse(3, 1, 2)
    };
    let recipe = with(all, starter("dpmpp_2m", 6));
    let two = Running::start();
    let mut batch = request(recipe.clone());
    batch.count = 2;
    let pictures = two.pictures(batch).unwrap();
    let one = Running::with(Options {
        threads: 1,
        ..Options::default()
    });
    assert!(one.picture(recipe.clone()) == pictures[0]);
    let next = Recipe {
        seed: recipe.seed + 1,
        ..recipe
    };
    assert!(one.picture(next) == pictures[1]);
}

#[test]
fn guidance_outside_of_its_part_is_guidance_1() {
    let running = Running::start();
    let never = NetworkOptions {
        guidance_interval: GuidanceInterval {
            from: 1.0,
            until: 1.0,
        },
        ..NetworkOptions::default()
    };
    // Models distilled to take the scale as an input are given 1 there.
    for model in [starter("euler", 3), recipe("lcm")] {
        let unguided = running.picture(Recipe {
            guidance: 1.0,
            ..model.clone()
        });
        let guided = running.picture(model.clone());
        assert!(unguided != guided, "{}", model.model.id);
        let empty = running.picture(with(never.clone(), model.clone()));
        assert!(empty == unguided, "{}", model.model.id);
    }
}

#[test]
fn what_a_model_does_not_have_is_refused() {
    let running = Running::start();
    let too_deep = with(reuse(2, 40, 1), recipe("sd1"));
    let too_far = with(
        NetworkOptions {
            clip_skip: 3,
            ..NetworkOptions::default()
        },
        recipe("sd1"),
    );
    for (recipe, wanted, words) in [
        (too_deep, "network.reuse.deep_branch", "0 to"),
        (too_far, "network.clip_skip", "layers, 2"),
    ] {
        match running.pictures(request(recipe)) {
            Err(EngineError::InvalidRequest { field, why }) => {
                assert_eq!(field, wanted);
                assert!(why.contains(words), "{why}");
            }
            other => panic!("{wanted}: {other:?}"),
        }
    }
}

#[test]
fn tiles_give_nearly_the_whole_picture_and_are_recorded() {
    let running = Running::start();
    let tiled = |tiles| {
        let network = NetworkOptions {
            tiles,
            ..NetworkOptions::default()
        };
        Recipe {
            width_px: 384,
            height_px: 256,
            ..with(network, starter("ddim", 6))
        }
    };
    let whole = running.picture(tiled(DecodeTiles::Whole));
    assert!(
        running.picture(tiled(DecodeTiles::Automatic)) == whole,
        "small"
    );
    let large = DecodeTiles::Tiled { side_px: 384 };
    assert!(running.picture(tiled(large)) == whole, "one tile");
    let small = tiled(DecodeTiles::Tiled { side_px: 192 });
    let made = running.picture(small.clone());
    let off = support::compare::psnr_db(&made.rgba, &whole.rgba);
    assert!(made != whole && off > 25.0, "{off:.1} dB");
    let record = running.records(request(small.clone())).unwrap().remove(0);
    assert_eq!(record.recipe.network.tiles, small.network.tiles);
}
