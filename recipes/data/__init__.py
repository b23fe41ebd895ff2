"""From a folder of pictures to arrays: listing, splitting, decoding."""
