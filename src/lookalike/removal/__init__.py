"""Take stored images out of a collection, with their files, and put them back as they were."""
