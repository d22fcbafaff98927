"""Make the template your project. These verbs act on the repository itself, so they are no part of the package."""
