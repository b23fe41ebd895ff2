"""What runs leave on the disk: folders, model files, journals."""
