"""Images on disk: which files a folder holds, and how DALI reads and decodes them."""
