"""Files to `Raw`: plug-ins, one format each. A reader is `read(folder, **settings) -> Raw`."""
