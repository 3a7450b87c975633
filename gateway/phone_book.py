"""The softphones of the switch's plan, and whose they are. Fits ``gateway.http.ports.PhoneBook``."""

from __future__ import annotations

from gateway.runtime.plan import SwitchPlan
from telephony.ids import TenantId


class PlannedPhones:
    """A phone with a tenant is that tenant's alone; one without serves all."""

    def __init__(self, plan: SwitchPlan) -> None:
        self._tenants = {phone.name: phone.tenant for phone in plan.phones}

    def knows(self, tenant: TenantId, phone: str) -> bool:
        """Whether this tenant may ring the phone."""
        return phone in self._tenants and self._tenants[phone] in ("", None, tenant)
