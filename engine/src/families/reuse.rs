//! What a network's calls take over from earlier ones (Ma et al. 2024, “DeepCache”): the maps deep in
//! a UNet change little from step to step, so most steps may compute its outer layers alone.

use std::cell::RefCell;

use crate::nn::Act;

/// Deep features of one picture's run, by the conditioning they were computed for.
#[derive(Debug, Default)]
pub struct DeepFeatures {
    /// Text tokens, and the map (1, C, h, w) where the way up meets the chosen skip connection.
    kept: RefCell<Vec<(Act, Act)>>,
}

impl DeepFeatures {
    /// Forgets everything: the next call computes all of the network.
    pub fn clear(&self) {
        self.kept.borrow_mut().clear();
    }

    /// The features for these text tokens; `None` unless there are some for each of them.
    pub fn recall(&self, tokens: &[&Act]) -> Option<Vec<Act>> {
        let kept = self.kept.borrow();
        let of = |tokens: &&Act| {
            let (_, features) = kept.iter().find(|(known, _)| known.is(tokens))?;
            Some(features.clone())
        };
        tokens.iter().map(of).collect()
    }

    /// Keeps features, one a text, in place of what was known for it.
    pub fn keep(&self, tokens: &[&Act], features: Vec<Act>) {
        let mut kept = self.kept.borrow_mut();
        kept.retain(|(known, _)| !tokens.iter().any(|tokens| known.is(tokens)));
        kept.extend(tokens.iter().map(|&tokens| tokens.clone()).zip(features));
    }
}

/// Lets a network call keep its deep features, or take those of an earlier one.
#[derive(Clone, Copy, Debug)]
pub struct DeepReuse<'a> {
    /// The skip connection up to which a call with known features computes, 0 being the outermost; at
    /// most one below [`super::model::Model::deep_branches`].
    pub branch: usize,
    /// Where they are kept.
    pub features: &'a DeepFeatures,
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn act(value: f32) -> Act {
        Act::from_values(vec![value], &[1, 1, 1], &Device::Cpu).expect("one value")
    }

    fn value(act: &Act) -> f32 {
        let tensor = act.to_tensor().expect("tensor");
        tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0]
    }

    #[test]
    fn features_belong_to_their_text() {
        let (a, b) = (act(1.0), act(1.0));
        let features = DeepFeatures::default();
        features.keep(&[&a], vec![act(10.0)]);
        assert!(features.recall(&[&a, &b]).is_none(), "none for the second");
        features.keep(&[&b, &a], vec![act(20.0), act(11.0)]);
        let both = features.recall(&[&a, &b]).expect("both are known");
        assert_eq!([value(&both[0]), value(&both[1])], [11.0, 20.0]);
        features.clear();
        assert!(features.recall(&[&a]).is_none());
    }
}
