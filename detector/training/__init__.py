"""All that makes a model: crops, made fakes, training, calibration, release. Needs torch; serving does not."""
