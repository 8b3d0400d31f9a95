"""Everything that makes a model: crops, made fakes, training, calibration and release. Needs torch; serving does not."""
