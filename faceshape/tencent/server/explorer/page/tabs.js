// Tabs with the keyboard of the WAI-ARIA pattern: arrow keys, Home and End move and select.

/**
 * Make a tab list work.
 *
 * @param {HTMLElement} list holds the elements with role="tab"
 * @param {(tab: HTMLElement) => void} onSelect is called for the first tab, too
 * @returns {(tab: HTMLElement) => void} selects a tab
 */
export function makeTabs(list, onSelect) {
  const tabs = [...list.querySelectorAll('[role="tab"]')];
  const select = (chosen) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
    }
    onSelect(chosen);
  };
  list.addEventListener("click", (event) => {
    const tab = event.target.closest('[role="tab"]');
    if (tab) {
      select(tab);
    }
  });
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(document.activeElement);
    const places = {
      ArrowRight: (at + 1) % tabs.length,
      ArrowLeft: (at + tabs.length - 1) % tabs.length,
      Home: 0,
      End: tabs.length - 1,
    };
    if (at >= 0 && event.key in places) {
      event.preventDefault();
      tabs[places[event.key]].focus();
      select(tabs[places[event.key]]);
    }
  });
  select(tabs[0]);
  return select;
}
