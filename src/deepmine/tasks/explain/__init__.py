"""Why that answer? Feature importance, partial dependence, attributions and trees."""
