"""What is known of models, in the formats of other tools: only ever written by the owner's command."""
