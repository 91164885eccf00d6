"""PyInstaller's hook: the models, the Explorer's page, and the modules imported by their names."""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules, copy_metadata

from faceshape.resources import models_directory

# Wherever the models are now, a frozen program has them where an installed package has them.
datas = [
    (str(models_directory()), "faceshape/_models"),
    *collect_data_files("faceshape", subdir="tencent/server/explorer/page"),
    *copy_metadata("faceshape"),
]

hiddenimports = collect_submodules("faceshape", on_error="ignore")
