"""From pictures on the disk to batches: sources, decoding, division, views, augmentation."""
