"""Preview pictures: rendered in tiers, staged, published by rename."""
