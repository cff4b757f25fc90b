/** Follows the `lang` attributes of the page, which may change at any time. */

/** The callbacks of all elements on the page. */
const callbacks = new Set<() => void>();
/** Shared by all elements, because it observes whole documents. */
let observer: MutationObserver | undefined;

/**
 * Calls `onChange` after a `lang` attribute in the tree of `element` has changed, or in a tree that contains it. Returns
 * a function that ends this.
 */
export function followLanguage(element: Element, onChange: () => void): () => void {
  observer ??= new MutationObserver(() => callbacks.forEach((callback) => callback()));
  for (let root = element.getRootNode(); ; root = root.host.getRootNode()) {
    observer.observe(root, { subtree: true, attributeFilter: ['lang'] });
    // An observer of a document does not see the shadow trees in it.
    if (!(root instanceof ShadowRoot)) break;
  }
  callbacks.add(onChange);
  return () => {
    callbacks.delete(onChange);
    if (!callbacks.size) observer?.disconnect();
  };
}
