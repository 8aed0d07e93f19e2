// The WebAuthn ceremonies of our pages (Web Authentication Level 3, section 5.1). Served inside the page and allowed by
// its hash: what stands here may not depend on who asks.
;(() => {
  const part = document.querySelector('[data-ceremony]')
  const { ceremony, url, next } = part.dataset
  const button = part.querySelector('button')
  const problem = document.querySelector('#problem')

  const toBytes = (text) =>
    Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) =>
      character.charCodeAt(0),
    )
  const toText = (bytes) =>
    btoa(String.fromCharCode(...new Uint8Array(bytes)))
      .replaceAll('+', '-')
      .replaceAll('/', '_')
      .replaceAll('=', '')

  async function post(path, body) {
    const response = await fetch(path, {
      method: 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const answer = await response.json()
    if (response.ok) return answer
    throw new Error(answer.detail ?? answer.title)
  }

  function show(error) {
    const cancelled = error.name === 'NotAllowedError'
    const known = error.name === 'InvalidStateError'
    problem.textContent = cancelled
      ? 'No passkey was used. You can try again.'
      : known
        ? 'This device has a passkey for this account already.'
        : error.message
    problem.hidden = false
  }

  // Older browsers know neither parseRequestOptionsFromJSON nor toJSON.
  const withBytes = (list = []) => list.map((entry) => ({ ...entry, id: toBytes(entry.id) }))
  function plain({ id, rawId, type, response, authenticatorAttachment }, clientExtensionResults) {
    const answer = { clientDataJSON: toText(response.clientDataJSON) }
    for (const name of ['authenticatorData', 'signature', 'userHandle', 'attestationObject']) {
      if (response[name]) answer[name] = toText(response[name])
    }
    if (response.getTransports) answer.transports = response.getTransports()
    return {
      id,
      rawId: toText(rawId),
      type,
      response: answer,
      authenticatorAttachment,
      clientExtensionResults,
    }
  }

  let waiting
  let clicked = false
  let asked = Promise.resolve()
  async function signIn(mediation) {
    waiting?.abort()
    waiting = new AbortController()
    const { signal } = waiting
    // One after the other: a sign-in has one challenge, and the last one asked for must be the last one given.
    asked = asked.catch(() => {}).then(() => post(`${url}/passkey`, {}))
    const options = await asked
    signal.throwIfAborted()
    const credential = await navigator.credentials.get({
      publicKey: {
        ...options,
        challenge: toBytes(options.challenge),
        allowCredentials: withBytes(options.allowCredentials),
      },
      mediation,
      signal,
    })
    const { redirectTo } = await post(url, {
      passkey: plain(credential, credential.getClientExtensionResults()),
    })
    location.assign(redirectTo)
  }

  async function create() {
    // Behind the #, or from the page: the link's secret half.
    const ticket = part.dataset.ticket ?? location.hash.slice(1)
    const options = await post(`${url}/options`, { ticket })
    const credential = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: toBytes(options.challenge),
        user: { ...options.user, id: toBytes(options.user.id) },
        excludeCredentials: withBytes(options.excludeCredentials),
      },
    })
    const name = part.querySelector('input')?.value.trim()
    const passkey = plain(credential, credential.getClientExtensionResults())
    await post(url, { ticket, passkey, ...(name ? { name } : {}) })
    if (next) {
      location.assign(next)
      return
    }
    history.replaceState(null, '', location.pathname)
    part.hidden = true
    problem.hidden = true
    document.querySelector('#done').hidden = false
  }

  async function run(work) {
    clicked = true
    button.disabled = true
    try {
      await work()
    } catch (error) {
      // Another ceremony of this page took its place.
      if (error.name !== 'AbortError') show(error)
    } finally {
      button.disabled = false
    }
  }

  async function begin() {
    if (!window.PublicKeyCredential) {
      if (ceremony === 'offer') location.replace(next)
      if (ceremony === 'create')
        show(new Error('This browser cannot make passkeys. Open the link in another one.'))
      return
    }
    part.hidden = false
    button.addEventListener('click', () => void run(ceremony === 'sign-in' ? () => signIn() : create))
    const offersWhileTyping = await PublicKeyCredential.isConditionalMediationAvailable?.()
    if (ceremony === 'sign-in' && offersWhileTyping && !clicked) {
      await signIn('conditional').catch((error) => {
        if (error.name !== 'AbortError' && error.name !== 'NotAllowedError') show(error)
      })
    }
  }
  void begin()
})()
