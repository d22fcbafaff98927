"""What do models see? Readers turn files into `Raw`, preparing turns `Raw` into a `Dataset`."""
