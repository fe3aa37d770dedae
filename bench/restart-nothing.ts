/** What Node needs for a program that does nothing but answer: store-restart.ts starts it beside the store's. */
console.log('@answer {}')
setTimeout(() => {}, 600_000)
