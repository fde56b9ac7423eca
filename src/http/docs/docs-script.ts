/** Runs in the browser before Swagger UI does: what its page lacks for small screens, dark rooms and screen readers. */
export const docsScript = [fitScreen, nameControls, keepFocus].map((run) => `(${run})();`).join('\n')

// Each of these is sent to the browser as text, so it names nothing outside itself.

function fitScreen(): void {
  document.head.insertAdjacentHTML('beforeend', '<meta name="viewport" content="width=device-width, initial-scale=1">')
  const darkness = matchMedia('(prefers-color-scheme: dark)')
  const follow = () => document.documentElement.classList.toggle('dark-mode', darkness.matches)
  darkness.addEventListener('change', follow)
  follow()
}

/** What a control is called must be what it is, and what stands on it. */
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

/** The dialog begins at its beginning, ends with Escape, and gives the focus back to where it was opened. */
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
      control?.focus() // each scheme took the focus, and the last one kept it
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

/** Of the browser's own types, which the rest of the program must not see, what is used here. */
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
