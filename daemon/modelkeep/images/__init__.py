"""Preview images: rendered in tiers, staged, published by rename."""
