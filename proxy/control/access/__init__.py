"""Access to the control plane: the admin token, sessions of browsers, and the limit on wrong guesses."""
