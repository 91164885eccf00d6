"""Labels, training and export: how the files of models/ are made."""
