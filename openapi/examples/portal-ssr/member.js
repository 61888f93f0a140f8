// A page for people who are signed in. Other people are sent to the form, and return to this page after signing in.

import { memberPage } from './pages.js';
import { formAddress } from './place.js';
import { signedInAs } from './supabase.js';

export async function showMember(visit) {
  const place = visit.url.pathname + visit.url.search;
  const address = await signedInAs(visit);
  if (!address) return visit.goTo(formAddress(place));
  visit.page(200, memberPage({ address, place }));
}
