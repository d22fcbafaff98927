"""Files to `Raw`: one reader for each format. A reader is `read(folder, **settings) -> Raw`."""
