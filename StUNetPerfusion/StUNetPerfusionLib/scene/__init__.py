"""What is in the MRML scene: series, masks, maps, colors, views, numbers, the report."""
