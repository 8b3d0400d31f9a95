"""The pages: each view authorises, binds a form, calls one service or query and renders."""
