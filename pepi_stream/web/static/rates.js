// Delivery, open, click, bounce and complaint rate of each minute, from the counts of the same minute.

export const RATES = [
  { name: "delivery", label: "Delivery", of: "delivered ÷ attempted" },
  { name: "open", label: "Open", of: "opened ÷ delivered" },
  { name: "click", label: "Click", of: "clicked ÷ delivered" },
  { name: "bounce", label: "Bounce", of: "bounced ÷ attempted" },
  { name: "complaint", label: "Complaint", of: "complained ÷ delivered" },
];

const share = (part, whole) => (whole > 0 ? part / whole : null);

// minutes: as store.minutesOf gives them. Each rate comes with the hour's value and one a minute, null
// where its denominator is 0. Which events stand for "attempted" and "delivered" is decided once for
// the hour, so that a line never changes its meaning half-way.
export function ratesOf(minutes) {
  const sum = (name) => minutes.reduce((total, { counts }) => total + (counts.get(name) ?? 0), 0);
  const hasSent = sum("sent") > 0;
  const hasDelivered = sum("delivered") > 0;
  const shares = (get) => {
    const bounced = get("bounced");
    const attempted = hasSent ? get("sent") : get("delivered") + bounced;
    const delivered = hasDelivered ? get("delivered") : get("sent") - bounced;
    return {
      delivery: share(delivered, attempted),
      open: share(get("opened"), delivered),
      click: share(get("clicked"), delivered),
      bounce: share(bounced, attempted),
      complaint: share(get("complained"), delivered),
    };
  };
  const hour = shares(sum);
  const each = minutes.map(({ counts }) => shares((name) => counts.get(name) ?? 0));
  return {
    attempted: hasSent ? "sent" : "delivered + bounced (nothing was counted as sent)",
    delivered: hasDelivered ? "delivered" : "sent − bounced (nothing was counted as delivered)",
    rates: RATES.map((rate) => ({
      ...rate,
      hour: hour[rate.name],
      values: each.map((minute) => minute[rate.name]),
    })),
  };
}
