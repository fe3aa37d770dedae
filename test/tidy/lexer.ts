/**
 * Just enough of a lexer to judge sources: comments and literals blanked out, functions found by their braces.
 *
 * Why not the compiler: the same scan serves TypeScript and C++, and it takes milliseconds. Guarantees: the blanked text
 * has the same length and the same lines; a function that the scan cannot see is not judged (the tests have samples).
 */

/** What may come before a slash that begins a regular expression. */
const BEFORE_REGEX = /(?:[=(,:;!&|?{}[+\-*%<>~^]|\breturn|\btypeof|\bcase|=>)\s*$/

function endOfQuoted(text: string, start: number): number {
  const quote = text[start]
  let at = start + 1
  while (at < text.length && text[at] !== quote && text[at] !== '\n')
    at += text[at] === '\\' ? 2 : 1
  return at + 1
}

function endOfTemplate(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '`') {
    if (text[at] === '\\') at += 2
    else if (text.startsWith('${', at)) at = endOfBlock(text, at + 1, true)
    else at++
  }
  return at + 1
}

function endOfRegex(text: string, start: number): number {
  let at = start + 1
  let inClass = false
  while (at < text.length && text[at] !== '\n' && (inClass || text[at] !== '/')) {
    if (text[at] === '[') inClass = true
    if (text[at] === ']') inClass = false
    at += text[at] === '\\' ? 2 : 1
  }
  return at + 1
}

/** The end of the literal or comment that begins at `at`; `at` itself when none does. */
function endOfLiteral(text: string, at: number): number {
  const char = text[at]!
  if (text.startsWith('//', at)) {
    const end = text.indexOf('\n', at)
    return end < 0 ? text.length : end
  }
  if (text.startsWith('/*', at)) return text.indexOf('*/', at + 2) + 2
  if (
    char === "'" &&
    /[\da-fA-F]/.test(text[at - 1] ?? '') &&
    /[\da-fA-F]/.test(text[at + 1] ?? '')
  ) {
    return at
  }
  if (char === "'" || char === '"') return endOfQuoted(text, at)
  if (char === '`') return endOfTemplate(text, at)
  if (char === '/' && BEFORE_REGEX.test(text.slice(Math.max(0, at - 12), at)))
    return endOfRegex(text, at)
  return at
}

const CLOSING: Readonly<Record<string, string>> = { '{': '}', '(': ')', '[': ']' }

/** Past the bracket that closes the one at `start`. `isRaw`: the text still has literals in it. */
export function endOfBlock(text: string, start: number, isRaw = false): number {
  const open = text[start]!
  const close = CLOSING[open]!
  let depth = 0
  let at = start
  while (at < text.length) {
    const literal = isRaw ? endOfLiteral(text, at) : at
    if (literal > at) {
      at = literal
      continue
    }
    if (text[at] === open) depth++
    if (text[at] === close && --depth === 0) return at + 1
    at++
  }
  return text.length
}

/** Comments and literals become blanks; lines stay. */
export function blank(text: string): string {
  let result = ''
  let at = 0
  while (at < text.length) {
    const end = endOfLiteral(text, at)
    if (end > at) {
      result += text.slice(at, end).replace(/[^\n]/g, ' ')
      at = end
    } else {
      result += text[at]
      at++
    }
  }
  return result
}

/** A function: its name, the line it begins on, its lines, and its body in the blanked text. */
export interface FunctionSpan {
  readonly name: string
  readonly line: number
  readonly lines: number
  readonly body: string
}

const CONTROL =
  /^(?:if|for|while|switch|catch|return|do|else|new|await|function|typeof|super|throw|sizeof)$/

/** Where the body begins, after the parameters that end at `at`; -1 when there is none (a type, an overload, a call). */
function bodyStart(text: string, at: number): number {
  const end = /^\s*(?::|=>|\{)/.exec(text.slice(at))
  if (end === null) return -1
  let from = at
  for (;;) {
    const open = text.indexOf('{', from)
    if (open < 0) return -1
    const between = text.slice(from, open)
    if (/[;}]/.test(between)) return -1
    // `): {` and `): Promise<{` open a type, not a body.
    if (!/(?::|<|\||&|,|\(|\[)\s*$/.test(between)) return open
    from = endOfBlock(text, open)
  }
}

const HEADERS =
  /(?:\bfunction\s*\*?\s*([A-Za-z_$][\w$]*)|\bconst\s+([A-Za-z_$][\w$]*)\s*(?::[^=;]+)?=\s*(?:async\s*)?(?=\(|<)|^[ \t]+(?:(?:static|async|override|get|set|private|public|protected)\s+)*(#?[A-Za-z_$][\w$]*)\s*(?=\(|<))/gm

/** The functions and methods of a TypeScript source that has been blanked. */
export function functionsOf(text: string): FunctionSpan[] {
  const spans: FunctionSpan[] = []
  for (const match of text.matchAll(HEADERS)) {
    const name = match[1] ?? match[2] ?? match[3]!
    if (CONTROL.test(name)) continue
    const open = text.indexOf('(', match.index + match[0].length - (match[0].endsWith('(') ? 1 : 0))
    if (open < 0) continue
    const begin = bodyStart(text, endOfBlock(text, open))
    if (begin < 0) continue
    spans.push(spanOf(text, name, match.index + match[0].search(/\S/), begin))
  }
  return spans
}

function spanOf(text: string, name: string, start: number, begin: number): FunctionSpan {
  const end = endOfBlock(text, begin)
  const line = text.slice(0, start).split('\n').length
  const lines = text.slice(start, end).split('\n').length
  return { name, line, lines, body: text.slice(begin, end) }
}

/** The functions of a C++ source that has been blanked: blocks whose head has parameters, outermost only. */
export function cxxFunctionsOf(text: string): FunctionSpan[] {
  const spans: FunctionSpan[] = []
  let at = 0
  let head = 0
  while (at < text.length) {
    const char = text[at]!
    if (char === ';' || char === '}') head = at + 1
    if (char !== '{') {
      at++
      continue
    }
    const before = text.slice(head, at).replace(/^\s*#.*$/gm, '')
    const name = /([\w~:]+)\s*\(/.exec(before)?.[1]
    const isFunction =
      name !== undefined && !/^\s*(?:namespace|struct|class|union|enum|extern)\b/.test(before)
    if (isFunction && !/=\s*$/.test(before)) {
      const span = spanOf(text, name, head + text.slice(head, at).search(/\S/), at)
      spans.push(span)
      at = endOfBlock(text, at)
      head = at
    } else {
      at++
      head = at
    }
  }
  return spans
}
