// The Batch account: Entra ID only (no shared keys), no auto-storage.
param location string
param tags object

@description('Account name: 3 to 24 lower-case letters and digits.')
param name string
param privateNetwork bool
param allowedIpAddresses array
param workspaceId string

var addressRules = [for address in allowedIpAddresses: {
  action: 'Allow'
  value: address
}]

resource account 'Microsoft.Batch/batchAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    poolAllocationMode: 'BatchService'
    allowedAuthenticationModes: ['AAD']
    publicNetworkAccess: privateNetwork && empty(allowedIpAddresses) ? 'Disabled' : 'Enabled'
    networkProfile: privateNetwork && empty(allowedIpAddresses) ? null : {
      accountAccess: {
        defaultAction: privateNetwork ? 'Deny' : 'Allow'
        ipRules: privateNetwork ? addressRules : []
      }
      nodeManagementAccess: {
        defaultAction: privateNetwork ? 'Deny' : 'Allow'
      }
    }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: account
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'ServiceLog' // pool resizes, task starts and ends
        enabled: true
      }
    ]
  }
}

output id string = account.id
output name string = account.name
output endpoint string = 'https://${account.properties.accountEndpoint}'
