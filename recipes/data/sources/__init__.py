"""Where pictures come from: each source gives one `Listing`."""
