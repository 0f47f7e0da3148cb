// Redoc on the gateway's own description, in the fonts that the reader has.
"use strict";

window.Redoc.init(
  "/openapi.json",
  {
    hideDownloadButton: false,
    theme: {
      typography: {
        fontFamily: "system-ui, sans-serif",
        headings: { fontFamily: "system-ui, sans-serif" },
        code: { fontFamily: "ui-monospace, monospace" },
      },
    },
  },
  document.getElementById("docs"),
);
