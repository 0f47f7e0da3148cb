// Redoc for the gateway's OpenAPI document, with the fonts of the system.
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
