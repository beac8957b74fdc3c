// The page that an editor's extension puts into its panel: an empty one that loads one script and
// one style, and nothing else.

export interface PageInputs {
  /** Where the editor serves the extension's files from, as a content security policy names it. */
  readonly source: string;
  readonly script: string;
  readonly style: string;
  /** The editor's language, for screen readers and for dates. */
  readonly language: string;
  /** Proves that the script is the extension's: a new one for each page. */
  readonly nonce: string;
}

export function panelPage({ source, script, style, language, nonce }: PageInputs): string {
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${source}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return `<!DOCTYPE html>
<html lang="${escaped(language)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escaped(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Flame graph</title>
<link rel="stylesheet" href="${escaped(style)}">
<script type="module" nonce="${nonce}" src="${escaped(script)}"></script>
</head>
<body></body>
</html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.codePointAt(0)};`);
}
