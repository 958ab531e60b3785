// The account that holds images, PNGs and Darkroom's own documents. No keys, no anonymous access, TLS 1.2.
param location string
param tags object

@description('Account name: 3 to 24 lower-case letters and digits.')
param name string
param sku string
param hierarchicalNamespace bool

@description('Refuse the public internet, except for allowedIpAddresses and trusted Azure services (Event Grid dead-letters).')
param privateNetwork bool
param allowedIpAddresses array
param containers array
param manifestsContainer string
param outcomesContainer string
param deadLettersContainer string

@description('Days that archives and outcomes are kept. The function app prunes them itself; the rules below, a week later, are the net under it.')
param retentionDays int

var netDays = retentionDays + 7
var addressRules = [for address in allowedIpAddresses: {
  action: 'Allow'
  value: address
}]

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    isHnsEnabled: hierarchicalNamespace
    isLocalUserEnabled: false
    isSftpEnabled: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: privateNetwork && empty(allowedIpAddresses) ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: privateNetwork ? 'Deny' : 'Allow'
      ipRules: privateNetwork ? addressRules : []
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    // A deleted or overwritten blob can be brought back for a week. No versions: the worker's conditional writes and the
    // sweep's listings work on current blobs only, and every PNG can be made again.
    deleteRetentionPolicy: {
      enabled: true
      days: 7
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: 7
    }
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [for item in containers: {
  parent: blobs
  name: item
  properties: {
    publicAccess: 'None'
  }
}]

resource rules 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'archives'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: ['blockBlob', 'appendBlob']
              prefixMatch: ['${manifestsContainer}/archive/', '${manifestsContainer}/journal/']
            }
            actions: {
              baseBlob: {
                delete: {
                  daysAfterModificationGreaterThan: netDays
                }
              }
            }
          }
        }
        {
          name: 'outcomes'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: ['blockBlob', 'appendBlob']
              prefixMatch: ['${outcomesContainer}/']
            }
            actions: {
              baseBlob: {
                delete: {
                  daysAfterModificationGreaterThan: netDays
                }
              }
            }
          }
        }
        {
          name: 'deadletters'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: ['blockBlob']
              prefixMatch: ['${deadLettersContainer}/']
            }
            actions: {
              baseBlob: {
                delete: {
                  daysAfterModificationGreaterThan: netDays
                }
              }
            }
          }
        }
      ]
    }
  }
  dependsOn: [
    container
  ]
}

output id string = account.id
output name string = account.name
output blobEndpoint string = account.properties.primaryEndpoints.blob
