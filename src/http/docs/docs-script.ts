/**
 * Runs in the browser before Swagger UI, and adds what its page lacks for small screens, dark mode and screen readers.
 */
export const docsScript = [fitScreen, nameControls, keepFocus].map((run) => `(${run})();`).join('\n')

// The server sends each of these functions to the browser as text, so it must not use any name outside itself.

function fitScreen(): void {
  document.head.insertAdjacentHTML('beforeend', '<meta name="viewport" content="width=device-width, initial-scale=1">')
  const darkness = matchMedia('(prefers-color-scheme: dark)')
  const follow = () => document.documentElement.classList.toggle('dark-mode', darkness.matches)
  darkness.addEventListener('change', follow)
  follow()
}

/** Gives each control the accessible name that its visible label shows. */
function nameControls(): void {
  const names: [selector: string, name: string][] = [
    ['#auth-basic-username', 'Client id'],
    ['#auth-basic-password', 'Client secret'],
    ['#auth-bearer-value', 'Token'],
    ['#api_key_value', 'Value'],
    ['.body-param__text', 'Body'],
    ['.close-modal', 'Close'],
    ['.examples-select-element', 'Example'],
    ['.copy-to-clipboard button', 'Copy'],
  ]
  const label = (control: Element | null, name: string) => {
    if (control && control.getAttribute('aria-label') !== name) control.setAttribute('aria-label', name)
  }
  const look = () => {
    for (const [selector, name] of names) {
      for (const control of document.querySelectorAll(selector)) label(control, name)
      const text = selector.startsWith('#') ? document.querySelector(`label[for="${selector.slice(1)}"]`) : null
      if (text && text.textContent !== `${name}:`) text.textContent = `${name}:`
    }
    for (const row of document.querySelectorAll('[data-property-name]')) {
      label(row.querySelector('input, select'), row.getAttribute('data-property-name') ?? '')
    }
    for (const button of document.querySelectorAll('.auth-btn-wrapper button')) button.removeAttribute('aria-label')
  }
  document.querySelector('#swagger-ui')?.setAttribute('role', 'main')
  const changes = { childList: true, subtree: true, attributeFilter: ['aria-label'] }
  new MutationObserver(look).observe(document.body, changes)
}

/**
 * Makes the dialog start at its first control, close with Escape, and return the focus to the control that opened it.
 */
function keepFocus(): void {
  let opener: Element | null = null
  let isOpen = false
  const look = () => {
    const dialog = document.querySelector('.modal-ux')
    if (isOpen && !dialog) opener?.focus()
    if (!isOpen && dialog) {
      dialog.setAttribute('role', 'dialog')
      dialog.setAttribute('aria-label', 'Available authorizations')
      const control = dialog.querySelector('input') ?? dialog.querySelector('button')
      control?.focus() // each scheme has taken the focus, so it is at the last one
      dialog.querySelector('.modal-ux-content')?.scrollTo(0, 0)
    }
    isOpen = dialog !== null
  }
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true })
  document.addEventListener('click', ({ target }) => {
    opener = target.closest('.auth-wrapper > .authorize, .authorization__btn') ?? opener
  })
  document.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') document.querySelector('.close-modal')?.click()
  })
}

/** The browser's own types, as far as this file uses them. The rest of the program must not see them. */
interface Element {
  textContent: string
  readonly classList: { toggle(name: string, force: boolean): void }
  getAttribute(name: string): string | null
  setAttribute(name: string, value: string): void
  removeAttribute(name: string): void
  querySelector(selector: string): Element | null
  insertAdjacentHTML(where: string, html: string): void
  closest(selector: string): Element | null
  click(): void
  focus(): void
  scrollTo(left: number, top: number): void
}
declare const document: {
  readonly head: Element
  readonly body: Element
  readonly documentElement: Element
  querySelector(selector: string): Element | null
  querySelectorAll(selector: string): Iterable<Element>
  addEventListener(type: string, listen: (event: { target: Element; key: string }) => void): void
}
declare const matchMedia: (query: string) => {
  matches: boolean
  addEventListener(type: string, listen: () => void): void
}
declare const MutationObserver: new (
  look: () => void,
) => { observe(node: Element, changes: { childList: boolean; subtree: boolean; attributeFilter?: string[] }): void }
